"""What the validations of a run have decided, by the rule of src/run/best_score.hpp."""

MORE_THAN_ROUNDING = 1e-4


def best(table):
    """The row of the best validation, and how many rows follow it; None and 0 without validations.
        table   "validation" of files.tables
    """
    found = None
    for row, (accuracy, loss) in enumerate(zip(table["accuracy"], table["loss"])):
        if found is None or accuracy > table["accuracy"][found] or (
                accuracy == table["accuracy"][found] and loss < table["loss"][found] * (1 - MORE_THAN_ROUNDING)):
            found = row
    return found, 0 if found is None else len(table["accuracy"]) - 1 - found


def stopped_early(tables, config):
    """Whether early stopping has ended the run.
        tables   of files.tables
        config   of files.settings_of
    """
    patience = int(config.get("runconfig.early_stopping") or 0)
    return 0 < patience and "validation" in tables and best(tables["validation"])[1] >= patience
