"""The layout of a TFLite flatbuffer: the official schema's tables, fields and unions.

The verifier reads by it, without the schema's own module, which tflite-runtime does not bring.
`tests/device/bundle/trust/test_layout.py` holds it against that module.
"""

import struct
from dataclasses import dataclass

#: Tables and their fields, in the order of their slots. A field is NAME:TYPE, or TYPE where nobody
#: asks for it by name. A type is a code of `struct`, s for a string, the name of a table, <a union>
#: (whose type is the field before it), or [a vector of one]; - is a field that no writer fills.
#: A field `subgraph` holds indices of subgraphs. A line that is indented goes on.
_TABLES = """
Model version:I operator_codes:[OperatorCode] subgraphs:[SubGraph] description:s
    buffers:[Buffer] metadata_buffer:[i] metadata:[Metadata] signature_defs:[SignatureDef]
    external_buffer_groups:[ExternalBufferGroup] external_buffers:[ExternalBuffer]
OperatorCode deprecated_builtin_code:b custom_code:s version:i builtin_code:i
SubGraph tensors:[Tensor] inputs:[i] outputs:[i] operators:[Operator] name:s
    debug_metadata_index:i
Tensor shape:[i] type:b buffer:I name:s quantization:QuantizationParameters is_variable:?
    sparsity:SparsityParameters shape_signature:[i] has_rank:? variant_tensors:[VariantSubType]
    external_buffer:I
QuantizationParameters min:[f] max:[f] scale:[f] zero_point:[q] details_type:B
    details:<QuantizationDetails> quantized_dimension:i
Operator opcode_index:I inputs:[i] outputs:[i] builtin_options_type:B
    builtin_options:<BuiltinOptions> custom_options:[B] custom_options_format:b
    mutating_variable_inputs:[?] intermediates:[i] large_custom_options_offset:Q
    large_custom_options_size:Q builtin_options2_type:B builtin_options2:<BuiltinOptions2>
    debug_metadata_index:i
Buffer data:[B] offset:Q size:Q
Metadata name:s buffer:I
TensorMap name:s tensor_index:I
SignatureDef inputs:[TensorMap] outputs:[TensorMap] signature_key:s - subgraph_index:I
AddOptions b ?
ArgMaxOptions b
ArgMinOptions b
BatchMatMulOptions ? ? ?
BidirectionalSequenceLSTMOptions b f f ? ? ?
BidirectionalSequenceRNNOptions ? b ? ?
BlockwiseQuantization i i i [i]
BucketizeOptions [f]
CallOnceOptions subgraph:i
CallOptions subgraph:I
CastOptions b b
ConcatEmbeddingsOptions i [i] [i]
ConcatenationOptions i b
Conv2DOptions b i i b i i b
Conv3DOptions b i i i b i i i
CumsumOptions ? ?
CustomQuantization [B]
DepthToSpaceOptions i
DepthwiseConv2DOptions b i i i b i i
DimensionMetadata b i B <SparseIndexVector> B <SparseIndexVector>
DivOptions b
EmbeddingLookupSparseOptions b
ExternalBuffer I I Q Q s
ExternalBufferGroup s
FakeQuantOptions f f i ?
FullyConnectedOptions b b ? ? b [B]
GatherOptions i i
GeluOptions ?
HashtableOptions i b b
IfOptions subgraph:i subgraph:i
Int32Vector [i]
L2NormOptions b
LSHProjectionOptions b
LSTMOptions b f f b ?
LeakyReluOptions f
LocalResponseNormalizationOptions i f f f
MirrorPadOptions b
MulOptions b
MultiAxisQuantization i i i [i]
OneHotOptions i
PackOptions i i
Pool2DOptions b i i i i b
RNNOptions b ?
RandomOptions q q
ReduceWindowOptions i
ReducerOptions ?
ReshapeOptions [i]
ResizeBilinearOptions - - ? ?
ResizeNearestNeighborOptions ? ?
ReverseSequenceOptions i i
SVDFOptions i b ?
SequenceRNNOptions ? b ?
ShapeOptions b
SkipGramOptions i i ?
SoftmaxOptions f
SpaceToDepthOptions i
SparseToDenseOptions ?
SparsityParameters [i] [i] [DimensionMetadata]
SplitOptions i
SplitVOptions i
SqueezeOptions [i]
StableHLOCompositeOptions s subgraph:i [B] b i
StablehloBroadcastInDimOptions [q]
StablehloCaseOptions subgraph:[i]
StablehloCompareOptions I I
StablehloConcatenateOptions q
StablehloConvolutionOptions [q] [q] [q] [q] [?] q q [q] q q [q] q q [q] q q [I]
StablehloCustomCallOptions s ? s i [i] [B]
StablehloDotGeneralOptions [q] [q] [q] [q] [I]
StablehloDynamicSliceOptions [q]
StablehloGatherOptions [q] [q] [q] q [q] ?
StablehloIotaOptions q
StablehloPadOptions [q] [q] [q]
StablehloReduceOptions [q] subgraph:i
StablehloReduceWindowOptions [q] [q] [q] [q] [q] subgraph:i
StablehloRngBitGeneratorOptions b
StablehloScatterOptions ? [q] [q] [q] q ? subgraph:i
StablehloSliceOptions [q] [q] [q]
StablehloSortOptions q ? subgraph:i
StablehloTransposeOptions [q]
StablehloWhileOptions subgraph:i subgraph:i
StridedSliceOptions i i i i i ?
SubOptions b ?
TransposeConvOptions b i i b b
Uint16Vector [H]
Uint8Vector [B]
UnidirectionalSequenceLSTMOptions b f f ? ? ?
UniqueOptions b
UnpackOptions i i
VarHandleOptions s s
VariantSubType [i] b ?
WhileOptions subgraph:i subgraph:i
"""

#: Tables without fields: options of operators that need none.
_EMPTY_TABLES = """
ATan2Options AbsOptions AddNOptions AssignVariableOptions BatchToSpaceNDOptions BitcastOptions
BitwiseXorOptions BroadcastToOptions CosOptions DensifyOptions DequantizeOptions DilateOptions
DynamicUpdateSliceOptions EqualOptions ExpOptions ExpandDimsOptions FillOptions FloorDivOptions
FloorModOptions GatherNdOptions GreaterEqualOptions GreaterOptions HardSwishOptions
HashtableFindOptions HashtableImportOptions HashtableSizeOptions LessEqualOptions LessOptions
LogSoftmaxOptions LogicalAndOptions LogicalNotOptions LogicalOrOptions MatrixDiagOptions
MatrixSetDiagOptions MaximumMinimumOptions NegOptions NonMaxSuppressionV4Options
NonMaxSuppressionV5Options NotEqualOptions PadOptions PadV2Options PowOptions QuantizeOptions
RangeOptions RankOptions ReadVariableOptions ReverseV2Options Rfft2dOptions RightShiftOptions
ScatterNdOptions SegmentSumOptions SelectOptions SelectV2Options SignOptions SliceOptions
SpaceToBatchNDOptions SquareOptions SquaredDifferenceOptions StablehloShiftLeftOptions
TileOptions TopKV2Options TransposeOptions UnsortedSegmentMaxOptions UnsortedSegmentMinOptions
UnsortedSegmentProdOptions UnsortedSegmentSumOptions WhereOptions ZerosLikeOptions
"""

#: Unions: the tables that a field may hold, by the value of its type; NONE is none.
_UNIONS = """
QuantizationDetails NONE CustomQuantization BlockwiseQuantization MultiAxisQuantization
SparseIndexVector NONE Int32Vector Uint16Vector Uint8Vector
BuiltinOptions NONE Conv2DOptions DepthwiseConv2DOptions ConcatEmbeddingsOptions
    LSHProjectionOptions Pool2DOptions SVDFOptions RNNOptions FullyConnectedOptions
    SoftmaxOptions ConcatenationOptions AddOptions L2NormOptions
    LocalResponseNormalizationOptions LSTMOptions ResizeBilinearOptions CallOptions
    ReshapeOptions SkipGramOptions SpaceToDepthOptions EmbeddingLookupSparseOptions MulOptions
    PadOptions GatherOptions BatchToSpaceNDOptions SpaceToBatchNDOptions TransposeOptions
    ReducerOptions SubOptions DivOptions SqueezeOptions SequenceRNNOptions StridedSliceOptions
    ExpOptions TopKV2Options SplitOptions LogSoftmaxOptions CastOptions DequantizeOptions
    MaximumMinimumOptions ArgMaxOptions LessOptions NegOptions PadV2Options GreaterOptions
    GreaterEqualOptions LessEqualOptions SelectOptions SliceOptions TransposeConvOptions
    SparseToDenseOptions TileOptions ExpandDimsOptions EqualOptions NotEqualOptions ShapeOptions
    PowOptions ArgMinOptions FakeQuantOptions PackOptions LogicalOrOptions OneHotOptions
    LogicalAndOptions LogicalNotOptions UnpackOptions FloorDivOptions SquareOptions
    ZerosLikeOptions FillOptions BidirectionalSequenceLSTMOptions
    BidirectionalSequenceRNNOptions UnidirectionalSequenceLSTMOptions FloorModOptions
    RangeOptions ResizeNearestNeighborOptions LeakyReluOptions SquaredDifferenceOptions
    MirrorPadOptions AbsOptions SplitVOptions UniqueOptions ReverseV2Options AddNOptions
    GatherNdOptions CosOptions WhereOptions RankOptions ReverseSequenceOptions MatrixDiagOptions
    QuantizeOptions MatrixSetDiagOptions HardSwishOptions IfOptions WhileOptions
    DepthToSpaceOptions NonMaxSuppressionV4Options NonMaxSuppressionV5Options ScatterNdOptions
    SelectV2Options DensifyOptions SegmentSumOptions BatchMatMulOptions CumsumOptions
    CallOnceOptions BroadcastToOptions Rfft2dOptions Conv3DOptions HashtableOptions
    HashtableFindOptions HashtableImportOptions HashtableSizeOptions VarHandleOptions
    ReadVariableOptions AssignVariableOptions RandomOptions BucketizeOptions GeluOptions
    DynamicUpdateSliceOptions UnsortedSegmentProdOptions UnsortedSegmentMaxOptions
    UnsortedSegmentMinOptions UnsortedSegmentSumOptions ATan2Options SignOptions BitcastOptions
    BitwiseXorOptions RightShiftOptions
BuiltinOptions2 NONE StablehloConcatenateOptions StablehloBroadcastInDimOptions
    StablehloSliceOptions StablehloConvolutionOptions StablehloCustomCallOptions
    StablehloReduceOptions StablehloScatterOptions StablehloCompareOptions
    StablehloDynamicSliceOptions StablehloPadOptions StablehloIotaOptions
    StablehloDotGeneralOptions StablehloReduceWindowOptions StablehloSortOptions
    StablehloWhileOptions StablehloGatherOptions StablehloTransposeOptions DilateOptions
    StablehloRngBitGeneratorOptions ReduceWindowOptions StableHLOCompositeOptions
    StablehloShiftLeftOptions StablehloCaseOptions
"""


@dataclass(frozen=True)
class Field:
    """A field of a table.

    Attributes:
        name: What it is called; "" if nobody asks for it.
        type: A code of `struct`, "s" for a string, or the name of a table or a union.
        is_vector: Whether it holds any number of these.
        is_union: Whether `type` is a union.
        size: Its bytes in the table: those of the number, or of the offset to what it holds.
    """

    name: str
    type: str
    is_vector: bool
    is_union: bool
    size: int


def _lines(text: str) -> list[list[str]]:
    """Return the words of the lines of one of the texts above."""
    return [line.split() for line in text.replace("\n    ", " ").strip().splitlines()]


def _field(text: str) -> Field | None:
    """Return a field from NAME:TYPE or TYPE; None for one that no writer fills."""
    if text == "-":
        return None
    name, _, type_text = text.rpartition(":")
    is_vector = type_text.startswith("[")
    is_union = type_text.startswith("<")
    type_name = type_text.strip("[]<>")
    size = 4
    if len(type_name) == 1 and type_name != "s" and not is_vector:
        size = struct.calcsize(f"<{type_name}")
    return Field(name, type_name, is_vector, is_union, size)


#: The fields of every table by its name, in the order of their slots.
TABLES: dict[str, tuple[Field | None, ...]] = {
    name: tuple(map(_field, fields)) for name, *fields in _lines(_TABLES)
} | dict.fromkeys(_EMPTY_TABLES.split(), ())

#: The tables of every union by its name.
UNIONS: dict[str, tuple[str, ...]] = {name: tuple(tables) for name, *tables in _lines(_UNIONS)}

#: Bits of an element of a tensor by its type in the schema. Left out are texts and handles, which
#: no network of images has: STRING, RESOURCE and VARIANT.
ELEMENT_BITS = {
    0: 32,  # FLOAT32
    1: 16,  # FLOAT16
    2: 32,  # INT32
    3: 8,  # UINT8
    4: 64,  # INT64
    6: 8,  # BOOL
    7: 16,  # INT16
    8: 64,  # COMPLEX64
    9: 8,  # INT8
    10: 64,  # FLOAT64
    11: 128,  # COMPLEX128
    12: 64,  # UINT64
    15: 32,  # UINT32
    16: 16,  # UINT16
    17: 4,  # INT4
    18: 16,  # BFLOAT16
    19: 2,  # INT2
    20: 4,  # UINT4
    21: 8,  # FLOAT8_E4M3FN
    22: 8,  # FLOAT8_E5M2
}
#: The zero points that a type of quantized elements may have.
ZERO_POINTS = {3: (0, 255), 7: (-32768, 32767), 9: (-128, 127), 17: (-8, 7), 19: (-2, 1)}

#: Codes of operators. These are none of the runtime's own: CUSTOM, DELEGATE, and the placeholder.
FOREIGN_OPERATORS = frozenset((32, 51, 127))
CUSTOM_OPERATOR = 32
#: The last one: a newer converter's operators are not known to be readable here.
LAST_OPERATOR = 209
