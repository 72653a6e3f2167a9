"""The ablation: what misalignment costs each fusion family, and what alignment wins back."""
