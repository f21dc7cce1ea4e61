"""The grid side: virtual power plants that call events and take reports."""
