"""`python -m senticompare`, and what `accelerate launch -m senticompare` starts."""

from .cli import main

main()
