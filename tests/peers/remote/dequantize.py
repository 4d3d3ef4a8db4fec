"""Writes a GGUF file anew with all numbers in 32 bits: of quantized weights llama.cpp quantizes what it multiplies them with, too, and then
answers differently from everybody else.

    python dequantize.py IN OUT
"""

import sys

import numpy
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, dequantize

source, target = sys.argv[1:]
reader = GGUFReader(source)
writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
for name, field in reader.fields.items():
    # The writer has its own.
    if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
        continue
    if field.types[0] == GGUFValueType.ARRAY:
        writer.add_array(name, field.contents())
    else:
        writer.add_key_value(name, field.contents(), field.types[0])
writer.add_file_type(0)
for tensor in reader.tensors:
    numbers = dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
    # Numpy's order of dimensions is the other way round.
    shape = [int(size) for size in reversed(tensor.shape)]
    writer.add_tensor(tensor.name, numbers.reshape(shape), raw_dtype=GGMLQuantizationType.F32)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
