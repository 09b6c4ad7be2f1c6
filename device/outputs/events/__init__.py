"""What happens when something appears: programs that run, and addresses that are posted to."""
