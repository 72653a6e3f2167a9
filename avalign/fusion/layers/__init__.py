"""What families are built from: attention, encoders, masks, and checks of options."""
