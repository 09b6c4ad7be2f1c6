"""What browsers show: the live page and the login, each as one document."""
