"""SunSpec devices over Modbus TCP: batteries and meters. Needs ``gridtide[modbus]``.

The layout of models is that of the SunSpec Alliance, as ``pysunspec2`` has it.
"""
