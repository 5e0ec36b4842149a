package feature

import "ksd/internal/keystroke"

// Vocabulary is every key that has an id of its own, in the order of the ids,
// from 1. It is part of the model file's format: append only.
const Vocabulary = "abcdefghijklmnopqrstuvwxyz 0123456789,.'-;:/?!\"()[]=+*@#$%&_"

// VocabularySize is the number of ids; 0 stands for all other keys.
const VocabularySize = len(Vocabulary) + 1

var keyIDs = func() map[keystroke.Key]uint16 {
	m := make(map[keystroke.Key]uint16, len(Vocabulary))
	for i, r := range Vocabulary {
		m[keystroke.Key(r)] = uint16(i + 1)
	}
	return m
}()

// KeyID returns the key's id in the vocabulary, 0 if it has none.
func KeyID(k keystroke.Key) uint16 { return keyIDs[k] }
