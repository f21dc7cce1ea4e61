"""Tests of what OpenADR 3 says."""
