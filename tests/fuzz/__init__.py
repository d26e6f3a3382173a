"""Every parser of bytes that come from a peer or a file, against bytes that nobody meant.

Two kinds of input: arbitrary bytes, and valid ones that were flipped, cut, spliced and so on. Most
formats carry checksums, which stop nearly all damage at the door; so each format is also damaged
*under* its checksum, as a peer with the token or a buggy writer could.

Whatever comes in: the parser returns or raises what its docstring says, and nothing else; and the
memory it takes at its peak stays within a bound that follows from the size of the input.

`MINIMR_SOAK=50` tries fifty times as many inputs, new ones each time.
"""
