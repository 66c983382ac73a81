"""near_names: what a misspelt name may stand for."""

def _distance(one, other):
    """Counts the letters to add, take out or change to make one text another."""
    row = range(len(other) + 1)
    for number, letter in enumerate(one.elems()):
        above, row = row, [number + 1]
        for place in range(len(other)):
            row.append(min(
                above[place] + (0 if letter == other[place] else 1),
                above[place + 1] + 1,
                row[place] + 1,
            ))
    return row[len(other)]

def near_names(name, known):
    """Says which names a misspelt one is near to, or which there are.

    Args:
      name: that is not known.
      known: list of names.

    Returns:
      Words for the end of a message.
    """
    begun = [one for one in sorted(known) if one.startswith(name)]
    if begun:
        return "near it: " + ", ".join(begun)
    distances = [(_distance(name, one), one) for one in known]
    close = [one for far, one in sorted(distances) if 5 * far <= 2 * len(name)]
    return "near it: " + ", ".join(close[:3]) if close else "there are " + ", ".join(sorted(known))
