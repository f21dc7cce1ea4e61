"""What OpenADR 3 says, in our words. ``timing`` says when the intervals of an event hold; pure."""
