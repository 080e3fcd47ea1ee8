"""From numbers to an outcome: step time and memory of many configurations at once.

``block_times`` works on the block axis, ``step_time`` on the layout axis (see docs/design.md); ``inputs`` holds the
columns both read.
"""
