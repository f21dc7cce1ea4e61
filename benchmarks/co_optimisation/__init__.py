"""What it is worth to plan jobs and batteries together, on weeks of 2021."""
