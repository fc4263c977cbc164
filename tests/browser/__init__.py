"""What operators do, in a browser: each task from the home page to done."""
