"""What attacks share: goals, boxes, balls, half-spaces, steps, and checks of their inputs."""
