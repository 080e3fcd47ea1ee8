"""What a run takes from the day the cluster is handed over to the day the model is done, and what it costs in full."""

from isocost.forecast.forecast import Forecast, forecast
from isocost.forecast.run import evaluate, uncertain

__all__ = ["Forecast", "evaluate", "forecast", "uncertain"]
