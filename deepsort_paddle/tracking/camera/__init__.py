"""How the camera moved between two frames: from the boxes, or from the images."""
