"""The length of the prefix that two token sequences have in common."""

from __future__ import annotations


def common_prefix(first: list[int], second: list[int]) -> int:
    """Length of the longest common prefix, by bisection: slices are compared at memory speed."""
    low, high = 0, min(len(first), len(second))
    if first[:high] == second[:high]:
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle
    return low
