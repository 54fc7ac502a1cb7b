"""Where zones come from, their versions and journals."""
