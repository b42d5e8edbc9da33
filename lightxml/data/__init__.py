"""What the caller brings, checked and put into one form: documents, numbers, labels, seeds. It
imports no other package but `lightxml.exceptions`.
"""
