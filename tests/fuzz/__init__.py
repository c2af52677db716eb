"""Random damage to what clients and providers send: no crash, no hang, nothing outside a dialect.

``make fuzz`` runs a million inputs; ``python -m tests.fuzz --count 10000 --seed 7`` runs fewer.
"""
