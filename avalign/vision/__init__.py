"""Pictures to face tracks and lip streams."""
