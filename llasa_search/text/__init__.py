"""Text: cleaning, language, splitting into steps, spoken form.

Code that reads audio or needs a tokenizer belongs elsewhere.
"""
