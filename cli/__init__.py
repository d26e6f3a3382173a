"""The command line: `main` finds the command and turns errors into messages and exit codes.

stdout carries data and nothing else; everything said to people goes to stderr. Heavy imports (rich,
numpy, the engine) happen inside the commands that need them, so that `--help` comes at once.
"""
