"""Ways to learn a shared space, behind one interface."""
