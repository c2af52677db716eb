"""Lengths of time as people read them. It imports nothing, for who is in a hurry."""


def countdown(seconds: float) -> str:
    """Seconds that are left, coarser the longer: 40s, 47m, 2h 10m, 3 days."""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left}s"
    minutes = round(left / 60)
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 48 * 60:
        hours, minutes = divmod(minutes, 60)
        return f"{hours}h {minutes}m" if minutes else f"{hours}h"
    return f"{round(minutes / 1440)} days"
