def chart(doc, fmt):
    return b""
