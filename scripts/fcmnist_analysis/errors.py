"""What every command says when it cannot do what it was asked for."""


class AnalysisError(Exception):
    """What is wrong and where, and a HINT."""

    def __init__(self, what, hint):
        super().__init__(f"{what}\n  HINT: {hint}")
