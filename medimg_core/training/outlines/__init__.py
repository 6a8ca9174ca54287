"""Training of networks that outline structures: recipe, films with masks, U-Net, losses, loop, export, measurement."""
