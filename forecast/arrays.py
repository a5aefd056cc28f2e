"""Kinds of arrays, by what they hold; their shapes are told where they are used."""

import numpy as np
import numpy.typing as npt

__all__ = ["BoolArray", "FloatArray", "Int32Array", "IntArray", "SingleArray", "UnsignedArray"]

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
UnsignedArray = npt.NDArray[np.uint32]
BoolArray = npt.NDArray[np.bool_]
