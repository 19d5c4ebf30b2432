package detect

import "strings"

// SecretSetting names, fit to print, what holds a secret in a setting that is none of
// the application's own, such as a variable or a label of its image: the setting, or that
// and where in its value. It is empty where nothing does, as far as name and value tell.
func SecretSetting(name, value string) string {
	key := strings.ReplaceAll(name, "__", ":") // as .NET divides variables
	if isConnection(key, value) {
		for _, f := range connectionString(name, value, nil) {
			if f.Key == "secret" {
				return f.Value
			}
		}
		return ""
	}
	if isSecret(key, value) {
		return maskName(name)
	}
	if where := secretInside(value); where != "" {
		return maskName(name) + " (" + where + ")"
	}
	return ""
}
