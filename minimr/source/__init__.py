"""How a job travels: as source text, never as a pickle off the wire.

`find` turns what the user wrote (a name, a file, a class) into a Job class, `pack` turns the class
into code that can be sent, `load` turns sent code back into the class, inside a slot.
"""
