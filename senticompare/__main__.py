"""`python -m senticompare`, and what `accelerate launch -m senticompare` starts."""

from .cli.main import main

main()
