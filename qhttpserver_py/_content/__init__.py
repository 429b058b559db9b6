"""What a body is: its JSON, its media type, its status, its conditional requests."""
