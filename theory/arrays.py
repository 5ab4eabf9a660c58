"""The array type of all mathematics here."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
