"""Many videos: jobs, the processes that run them, and what is already done."""
