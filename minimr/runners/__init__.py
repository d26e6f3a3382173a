"""Ways to run a job: on a cluster, or here in this process. One request, one result."""
