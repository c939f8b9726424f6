"""Parts shared by readers of data sets: spreadsheets, folders, subjects, action units, errata."""
