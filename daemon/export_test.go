package daemon

// ReplaceModel is replaceModel, for a test that kills it.
var ReplaceModel = replaceModel
