"""A Kubernetes cluster: every run of a job is a Job, and the Jobs are all that is remembered."""
