"""Pictures of rankings and of training, in the manner of scikit-learn's displays.

matplotlib draws them: ``pip install "lightxml[plot]"``.
"""

from lightxml.plot.calibration import CalibrationDisplay
from lightxml.plot.frequency import LabelFrequencyDisplay
from lightxml.plot.topk import TopKDisplay
from lightxml.plot.training import TrainingDisplay

__all__ = ["CalibrationDisplay", "LabelFrequencyDisplay", "TopKDisplay", "TrainingDisplay"]
