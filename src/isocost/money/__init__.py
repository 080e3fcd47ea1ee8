"""What a run costs: rented, reserved or owned, line by line; energy and carbon; break-even and waiting."""
