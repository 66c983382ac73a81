"""Which photographs the tests calibrate with, and which they compare on."""

CALIBRATION = ("brick.png", "chelsea.png", "coffee.png", "rocket.jpg")
# Shows a face.
TEST = "astronaut.png"
