"""Common code of the readers of data sets: spreadsheets, folders, subjects, action units, errata."""
