"""Training of networks that mark findings with boxes: recipe, films with boxes, detector, losses, loop, measurement."""
