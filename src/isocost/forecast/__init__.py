"""What a run takes from the day the cluster is handed over to the day the model is done, and what it costs in full."""

from isocost.forecast.conditions import Conditions
from isocost.forecast.forecast import Outlook, outlook_of
from isocost.forecast.run import Run, evaluate, inputs_of

__all__ = ["Conditions", "Outlook", "Run", "evaluate", "inputs_of", "outlook_of"]
