"""The fault matrix: what clients see when providers misbehave.

Every fault of ``catalogue`` is met in each of the four upstream dialects by a client of each of the
four, streamed, streamed after the status had to go out early, and whole. What reaches the client is
judged by the vendor's own SDK, at each of its entry points, and by a raw reader that is stricter
than any of them. ``make faults`` runs it all.
"""
