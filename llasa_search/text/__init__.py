"""Text: cleaning, language, splitting into sentences, spoken form. No audio, and nothing of a model."""
