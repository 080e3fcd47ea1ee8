"""From numbers to an outcome: step time and memory of many configurations at once.

``block_times`` and ``block_peak`` work on the block axis, ``step_time`` and ``peak_memory`` on the layout axis (see
docs/design.md); ``columns`` holds what they read.
"""
